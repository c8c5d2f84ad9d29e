"""The tables agree with what the R4 specification prints on its pages."""

import pytest

from sandbox.fhir import definitions


def test_resource_types_are_r4s_and_hold_no_abstract_type() -> None:
    assert len(definitions.RESOURCE_TYPES) == 146
    assert {"Patient", "Observation", "Bundle", "Parameters"} <= definitions.RESOURCE_TYPES
    assert not {"Resource", "DomainResource", "SubscriptionStatus"} & definitions.RESOURCE_TYPES


@pytest.mark.parametrize("resource_type", ["Patient", "Binary"])
def test_every_type_has_the_common_parameters(resource_type: str) -> None:
    assert {"_id", "_lastUpdated", "_tag", "_security", "_profile", "_source"} <= set(
        definitions.search_parameters(resource_type)
    )


def test_only_domain_resources_have_a_narrative_to_search() -> None:
    assert "_text" in definitions.search_parameters("Patient")
    assert "_text" not in definitions.search_parameters("Binary")


def test_expression_keeps_only_the_parts_of_its_type() -> None:
    patient = definitions.search_parameters("Condition")["patient"]
    assert patient.expression == "Condition.subject.where(resolve() is Patient)"
    assert patient.type == "reference"
    assert "Patient" in patient.targets


def test_composite_components_name_their_own_parameter() -> None:
    first, second = definitions.search_parameters("Observation")["code-value-quantity"].components
    assert (first.code, first.type) == ("code", "token")
    assert (second.code, second.type, second.expression) == ("value-quantity", "quantity", "value.as(Quantity)")


def test_focus_does_not_put_an_observation_into_the_patient_compartment() -> None:
    assert definitions.compartment_parameters("Patient", "Observation") == ("subject", "performer")
    assert definitions.compartment_parameters("Patient", "Medication") == ()
    assert len(definitions.compartment_types("Patient")) == 66


def test_choice_element_lists_its_json_names() -> None:
    value = definitions.type_of("Observation").elements["value"]
    assert value.choice
    assert ("valueQuantity", "Quantity") in value.json_names
    assert ("valueDateTime", "dateTime") in value.json_names


def test_content_reference_resolves_to_the_referenced_backbone() -> None:
    assert definitions.type_of("Bundle.entry").elements["link"].types[0].code == "Bundle.link"


def test_required_binding_offers_its_codes_and_open_ones_offer_none() -> None:
    binding = definitions.type_of("Observation").elements["status"].binding
    assert binding is not None
    assert binding.strength == "required"
    codes = definitions.required_codes(binding.value_set)
    assert codes is not None
    assert "final" in codes["http://hl7.org/fhir/observation-status"]
    assert definitions.required_codes("http://hl7.org/fhir/ValueSet/mimetypes") is None


def test_unknown_names_are_refused() -> None:
    with pytest.raises(definitions.UnknownTypeError):
        definitions.search_parameters("Pateint")
    with pytest.raises(definitions.UnknownTypeError):
        definitions.compartment_parameters("Hospital", "Patient")
    with pytest.raises(definitions.UnknownTypeError):
        definitions.type_of("Nothing")


def test_subtypes_follow_the_base_definitions() -> None:
    assert definitions.is_subtype("Age", "Quantity")
    assert definitions.is_subtype("Patient", "Resource")
    assert not definitions.is_subtype("Quantity", "Age")
